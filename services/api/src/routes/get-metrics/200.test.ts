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
});
