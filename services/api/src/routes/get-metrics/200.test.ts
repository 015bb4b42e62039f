import { describe, expect, it } from 'vitest';
import { startApi } from '../../../../../tests/helpers/api/harness.js';

describe('GET /metrics 200', () => {
  it('counts requests by template, answers by tier, events and refusals, and never by user or key', async () => {
    const api = await startApi();
    await api.call('GET', '/v1/users/secret-user/recommendations');
    await api.call('POST', '/v1/events', { body: { events: [{ user_id: 'u', item_id: 'i' }] } });
    await api.call('GET', '/v1/tiers', { key: null });
    await api.call('GET', '/nowhere/secret-user');
    const { text, headers } = await api.call('GET', '/metrics', { key: null });
    await api.stop();
    expect(headers.get('content-type')).toContain('text/plain');
    expect(text).toContain(
      'rec_recommend_requests_total{tier="full",model_version="v1",outcome="model"} 1',
    );
    expect(text).toContain('rec_events_accepted_total{source="http"} 1');
    expect(text).toContain('rec_auth_failures_total{reason="missing"} 1');
    expect(text).toContain(
      'http_server_request_duration_seconds_count{method="GET",route="/v1/users/{id}/recommendations",status="200"} 1',
    );
    expect(text).toContain('route="(none)",status="404"} 1');
    expect(text).not.toContain('secret-user');
  });

  it('names the model that this process serves, its age, and how swaps ended', async () => {
    const api = await startApi();
    await api.call('POST', '/v1/models/v2/publish');
    await api.call('POST', '/v1/models/v2/rollback');
    await api.call('POST', '/v1/models/v2/rollback');
    await api.call('POST', '/v1/models/v2/publish');
    const { text } = await api.call('GET', '/metrics', { key: null });
    await api.stop();
    expect(text).toMatch(/^rec_model_info\{version="v2",commit="[^"]+"\} 1$/m);
    expect(text).not.toContain('rec_model_info{version="v1"');
    expect(text).toMatch(/^rec_model_age_seconds \d+/m);
    expect(text).toContain('rec_model_swaps_total{result="rolled_back"} 1');
    expect(text).toContain('rec_model_swaps_total{result="refused"} 1');
  });

  it('says so while an older model serves since the published one could not be loaded', async () => {
    const api = await startApi();
    const before = await api.call('GET', '/metrics', { key: null });
    api.world.failedToLoad = 'v9';
    const after = await api.call('GET', '/metrics', { key: null });
    await api.stop();
    expect(before.text).toMatch(/^rec_model_behind 0$/m);
    expect(after.text).toMatch(/^rec_model_behind 1$/m);
    expect(after.text).toContain('rec_model_info{version="v1"');
  });

  it('answers also where there is no model yet', async () => {
    const api = await startApi();
    api.world.published = null;
    const { status, text } = await api.call('GET', '/metrics', { key: null });
    await api.stop();
    expect(status).toBe(200);
    expect(text).not.toContain('rec_model_info{');
  });
});
