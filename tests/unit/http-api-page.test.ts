/** docs/http-api.md says what is served (renew it by `npm test -- --project unit http-api-page -u`). */
import { routes } from '@nestrec/api';
import { expect, it } from 'vitest';
import { renderHttpApiPage } from '../helpers/api/http-api-page.js';

it('docs/http-api.md lists the routes that are served', async () => {
  await expect(renderHttpApiPage(routes)).toMatchFileSnapshot('../../docs/http-api.md');
});
