import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { axeFindings, launchBrowser, logIn, newReader } from '../support/browser.ts';
import { stackApi, stackFile } from '../support/stack-world.ts';

// The console on the real stack, with what the sample chain really did.

const runSchema = z.looseObject({
  id: z.string(),
  number: z.number(),
  reason: z.looseObject({ text: z.string() }).nullable(),
  images: z.array(z.looseObject({ tag: z.string() })),
});
const runsSchema = z.object({ items: z.array(runSchema) });

let browser: Browser;
let run: z.infer<typeof runSchema>;
let origin = { url: '', token: '' };

beforeAll(async () => {
  const { url, adminToken } = stackFile();
  origin = { url, token: adminToken };
  browser = await launchBrowser();
  const { items } = await stackApi().call('GET', '/v1/runs?result=success&limit=1', { answer: runsSchema });
  const [newest] = items;
  if (newest === undefined) throw new Error('The sample chain has no successful run.');
  run = newest;
});
afterAll(() => browser.close());

test.each(['light', 'dark'] as const)(
  'the sample Record can be read from login to delivery, %s',
  async (colorScheme) => {
    const { context, page, complaints } = await newReader(browser, { colorScheme });
    const findings: string[] = [];
    const check = async (where: string): Promise<void> => {
      findings.push(
        ...(await axeFindings(page, { isColorsOnly: colorScheme === 'dark' })).map((finding) => `${where}: ${finding}`),
      );
    };
    await page.goto(`${origin.url}/login`);
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await check('login');
    await logIn(page, origin);
    await page
      .getByRole('link', { name: `#${run.number}` })
      .first()
      .waitFor();
    await check('Records');

    await page.goto(`${origin.url}/records/${run.id}`);
    await page
      .getByText(run.reason?.text ?? '')
      .first()
      .waitFor();
    for (const { tag } of run.images) await page.getByText(tag, { exact: true }).first().waitFor();

    await page.getByRole('button', { name: /^Build: Success/ }).click();
    await page.locator('.log-row .log-text', { hasText: /\S/ }).first().waitFor();
    await page.getByText(/^\d+ steps/).click();
    await page
      .getByRole('button', { name: /load build definition from Dockerfile/ })
      .first()
      .waitFor();
    await check('build');

    await page.getByRole('button', { name: /^Scan: Success/ }).click();
    await page.getByText('sample data').first().waitFor();
    await page
      .getByText(/^(\d+ findings?|No vulnerabilities were found\.)$/)
      .first()
      .waitFor();
    await check('scan');

    await page.getByRole('button', { name: /^Replicate: Success/ }).click();
    await page
      .getByRole('rowheader', { name: /^singapore\// })
      .first()
      .waitFor();
    await check('replicate');

    await page.getByRole('button', { name: /^Trigger: Success/ }).click();
    const delivery = page.getByRole('article').first();
    await delivery.getByText('Attempt 1').click();
    await delivery.getByText('webhook-id').waitFor();
    await check('trigger');

    await context.close();
    expect(findings).toEqual([]);
    expect(complaints).toEqual([]);
  },
);
