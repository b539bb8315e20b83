import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { consoleFolder } from '../../stack/console.ts';
import { axeFindings, launchBrowser, logIn, newReader } from '../support/browser.ts';
import type { Reader } from '../support/browser.ts';
import { createConsoleFixture } from '../support/console-fixture.ts';
import type { ConsoleFixture } from '../support/console-fixture.ts';

// What a reader does with a long log, on a made-up build of a million lines.

const million = 1_000_000;
let browser: Browser;
let fixture: ConsoleFixture;
let reader: Reader;
let page: Page;

beforeAll(async () => {
  browser = await launchBrowser();
  fixture = await createConsoleFixture({ consoleDir: consoleFolder, logLines: { 'build-run-success': million } });
});
afterAll(async () => {
  await fixture.close();
  await browser.close();
});
beforeEach(async () => {
  reader = await newReader(browser);
  page = reader.page;
  await reader.context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await logIn(page, fixture);
});
afterEach(() => reader.context.close());

const open = (path: string): Promise<unknown> => page.goto(`${fixture.url}${path}`);
const line = (number: number) => page.getByRole('link', { name: `Line ${number}`, exact: true });
const rows = () => page.locator('.log-row').count();

test('the end of a million lines is shown at once; any line can be jumped to, and few rows are ever drawn', async () => {
  await open('/records/run-success?step=build');
  await line(million).waitFor();
  expect(await rows()).toBeLessThanOrEqual(100);
  for (const number of [1, 123_456, 999_000]) {
    await open(`/records/run-success?step=build#L${number}`);
    await line(number).waitFor();
    expect(await rows()).toBeLessThanOrEqual(100);
  }
  await page.getByRole('button', { name: 'Jump to the end' }).click();
  await line(million).waitFor();
  const session = await reader.context.newCDPSession(page);
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  expect(usedSize).toBeLessThanOrEqual(150 * 1024 * 1024);
  expect(reader.complaints).toEqual([]);
});

test('broken lines keep the reader where they are, and the last line is whole at the end', async () => {
  await open('/records/run-success?step=build');
  await line(million).waitFor();
  await page.setViewportSize({ width: 420, height: 900 });
  await page.getByLabel('Wrap').check();
  await line(million).waitFor();
  await vi.waitFor(async () => {
    const bottom = await page.evaluate(
      "document.querySelector('.log-view').getBoundingClientRect().bottom - document.querySelector('.log-row:last-child').getBoundingClientRect().bottom",
    );
    expect(Math.abs(Number(bottom))).toBeLessThan(4);
  });
  expect(
    await page.evaluate(
      "document.querySelector('.log-view').scrollWidth > document.querySelector('.log-view').clientWidth + 1",
    ),
  ).toBe(false);
  expect(await rows()).toBeLessThanOrEqual(100);
});

test('the steps say what came from the cache and lead to their lines', async () => {
  await open('/records/run-success?step=build');
  await page.getByText('7 steps').click();
  const step = page.getByRole('button', { name: /FROM docker.io/ });
  await step.getByText('cached', { exact: true }).waitFor();
  await step.click();
  await page.waitForURL('**#L6');
  await line(6).waitFor();
  expect(await page.locator('.log-row.is-marked').count()).toBe(1);
});

test('a log with everything open can be read in both themes and on a phone', async () => {
  const seen: string[] = [];
  for (const [colorScheme, width] of [
    ['light', 1_280],
    ['dark', 320],
  ] as const) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme });
    await open('/records/run-failed#L40-L45');
    await page.getByText('7 steps').click();
    await page.getByLabel('Times').check();
    await page.getByLabel('Search the log').fill('npm');
    await page.keyboard.press('Enter');
    await page.locator('.log-row.is-found').waitFor();
    seen.push(...(await axeFindings(page)).map((finding) => `${colorScheme}: ${finding}`));
    if ((await page.evaluate('document.documentElement.scrollWidth > innerWidth')) !== false) seen.push('too wide');
    await page.getByLabel('Wrap').check();
    seen.push(...(await axeFindings(page)).map((finding) => `${colorScheme}, wrapped: ${finding}`));
  }
  expect(seen).toEqual([]);
  expect(reader.complaints).toEqual([]);
});

test('a match of a live log stays in view while lines arrive', async () => {
  const live = await createConsoleFixture({ consoleDir: consoleFolder });
  onTestFinished(() => live.close());
  await logIn(page, live);
  await page.goto(`${live.url}/records/run-running`);
  await page.getByRole('log').getByText('#9 pushing layers').last().waitFor();
  await page.getByLabel('Search the log').fill('npm ci');
  // Lines in every frame: none of them may come between the search and the scroll it leads to.
  const ticker = setInterval(() => live.appendLog('build-run-running', ['one more line']), 5);
  await page.keyboard.press('Enter');
  await page.getByText(/^1 of \d+$/).waitFor();
  await page.getByRole('button', { name: /^\d+ new lines$/ }).waitFor();
  clearInterval(ticker);
  const found = page.locator('.log-row.is-found');
  expect(await found.innerText()).toContain('npm ci');
  const [row, view] = [await found.boundingBox(), await page.getByRole('log').boundingBox()];
  expect(row?.y).toBeGreaterThanOrEqual(view?.y ?? Number.NaN);
  expect((row?.y ?? 0) + (row?.height ?? 0)).toBeLessThanOrEqual((view?.y ?? 0) + (view?.height ?? 0));
});

test('n and N go through what the server found, / goes to the search, and letters typed there stay letters', async () => {
  await open('/records/run-success?step=build');
  await line(million).waitFor();
  await page.getByRole('log').focus();
  await page.keyboard.press('/');
  await page.keyboard.type('COPY <<EOF');
  await page.keyboard.press('Enter');
  const found = page.locator('.log-row.is-found');
  await page.getByText(/^1 of /).waitFor();
  await page.getByRole('log').focus();
  await page.keyboard.press('n');
  await page.getByText(/^2 of /).waitFor();
  await page.keyboard.press('N');
  await page.getByText(/^1 of /).waitFor();
  expect(await found.innerText()).toContain('COPY <<EOF');
  await page.getByLabel('Search the log').focus();
  await page.keyboard.type('nN');
  expect(await page.getByLabel('Search the log').inputValue()).toBe('COPY <<EOFnN');
});

test('marked lines are copied, also those that are not drawn', async () => {
  await open('/records/run-success?step=build#L100-L1300');
  await line(100).waitFor();
  await page.getByRole('button', { name: 'Copy 1,201 lines' }).click();
  await page.getByText('Copied').first().waitFor({ state: 'attached' });
  const copied = String(await page.evaluate('navigator.clipboard.readText()')).split('\n');
  expect(copied).toHaveLength(1_202);
  expect(copied.join('')).not.toContain('\u001b');
});

test('errors can be read alone, with the numbers of the whole log', async () => {
  await open('/records/run-failed');
  await page.getByLabel('Errors only').check();
  await page.getByText('1 of 58 lines').waitFor();
  expect(await rows()).toBe(1);
  await line(58).waitFor();
});

test('how far a step has come is shown below a live log until a line says more', async () => {
  await open('/records/run-running');
  await page.getByRole('log').getByText('#9 pushing layers').last().waitFor();
  fixture.tellProgress('build-run-running', 'sha256:aa 31.0 MB / 80.0 MB');
  await page.getByText('arm64 #7 sha256:aa 31.0 MB / 80.0 MB').waitFor();
  fixture.appendLog('build-run-running', ['#7 done']);
  await page.getByText('31.0 MB / 80.0 MB').waitFor({ state: 'detached' });
  expect(await page.getByText('97 lines', { exact: true }).count()).toBe(1);
});

test('a Record shows its place in line, whom it gave way to, what is missing, and who holds its tags', async () => {
  await page.getByRole('row', { name: /#33/ }).getByText('Place 3 of 12 in line').waitFor();
  await open('/records/run-queued');
  await page.getByText('Place 3 of 12 in line').waitFor();
  await open('/records/run-superseded');
  await page.getByText('Superseded by #35').first().waitFor();
  await page.getByRole('link', { name: '#35' }).click();
  await page.getByRole('heading', { name: 'shop/web · web · #35' }).waitFor();
  await page.getByRole('link', { name: '#34' }).waitFor();
  await page.getByText('partial: 1 architecture missing').waitFor();
  await page.getByText('7 of 9 steps cached', { exact: true }).waitFor();
  await page.getByRole('button', { name: /^Push: / }).click();
  await page.getByRole('link', { name: '#36' }).waitFor();
  await page.getByRole('button', { name: 'Retry failed architectures' }).click();
  await page.waitForURL('**/records/run-running');
  expect(fixture.requests).toContain('POST /v1/builds/build-run-partial/rebuild');
});
