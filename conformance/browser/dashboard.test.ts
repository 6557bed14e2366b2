/**
 * The browser example in headless Chromium: three panels, three wires, one flow, and all of it
 * again after the gateway was restarted. SCREENSHOT names a file to keep a picture in.
 */
import { existsSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ServerProcess } from '../support/server-process.ts';

const EXECUTABLE = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const WIRES = ['amqp', 'mqtt', 'stomp'];
const isPresent = existsSync(EXECUTABLE);

if (!isPresent) {
  process.stderr.write(`browser tests are skipped: no ${EXECUTABLE} (set CHROMIUM to name one)\n`);
}

let server: ServerProcess;
let browser: Browser;
let page: Page;
const troubles: string[] = [];

beforeAll(async () => {
  if (!isPresent) return;
  server = await ServerProcess.start({ args: ['--serve-examples', 'true'] });
  browser = await chromium.launch({
    executablePath: EXECUTABLE,
    args: ['--no-sandbox', '--disable-gpu'],
  });
  page = await browser.newPage({ viewport: { width: 1200, height: 800 } });
  page.on('pageerror', (error) => troubles.push(error.message));
  page.on('console', (message) => {
    // A browser itself reports sockets that cannot be opened while the gateway is down.
    const isLoss = /WebSocket connection to|ERR_CONNECTION/.test(message.text());
    if (message.type() === 'error' && !isLoss) troubles.push(message.text());
  });
});

afterAll(async () => {
  if (!isPresent) return;
  await browser.close();
  await server.stop();
  await server.dispose();
});

/** The page of the server as it is now: a restart moves it to another port. */
async function openPage(): Promise<void> {
  if (!server.isRunning) await server.restart();
  await page.goto(`http://127.0.0.1:${server.port('http')}/examples/browser-dashboard/`);
  troubles.length = 0;
  await untilConnected();
}

async function untilConnected(): Promise<void> {
  for (const wire of WIRES) {
    const state = page.locator(`.panel[data-wire=${wire}] .state[data-state=connected]`);
    await state.waitFor({ timeout: 60_000 });
  }
}

/** Every panel sends a text of its own, and every panel shows all three. */
async function talk(text: string): Promise<void> {
  for (const wire of WIRES) {
    const form = page.locator(`.panel[data-wire=${wire}] form`);
    await form.locator('input').fill(`${text} over ${wire}`);
    await form.locator('button').click();
  }
  for (const receiver of WIRES) {
    for (const sender of WIRES) {
      const item = page
        .locator(`.panel[data-wire=${receiver}] .messages li[data-wire=${sender}]`)
        .filter({ hasText: `${text} over ${sender}` });
      await item.waitFor({ timeout: 30_000 });
    }
  }
}

test.skipIf(!isPresent)('what one wire sends, all three show', async () => {
  await openPage();
  await talk('hello');
  for (const receiver of WIRES) {
    for (const sender of WIRES) {
      const count = page.locator(`.panel[data-wire=${receiver}] [data-from=${sender}]`);
      // A chart counts on its own: heartbeats of the other panels.
      await expect.poll(async () => Number(await count.textContent())).toBeGreaterThanOrEqual(3);
    }
  }
  // Readings are counted and drawn; what was said stays in sight.
  await expect(
    page.locator('.panel[data-wire=amqp] .messages li').allTextContents(),
  ).resolves.toHaveLength(3);
  const path = process.env['SCREENSHOT'];
  if (path !== undefined) await page.screenshot({ path });
  expect(troubles).toEqual([]);
});

test.skipIf(!isPresent)('all three come back after a restart of the gateway', async () => {
  await openPage();
  const port = server.port('http');
  expect((await server.stop()).code).toBe(0);
  for (const wire of WIRES) {
    const state = page.locator(`.panel[data-wire=${wire}] .state[data-state=connecting]`);
    await state.waitFor({ timeout: 60_000 });
  }
  await page.locator('#trouble').waitFor({ timeout: 30_000 });
  const form = page.locator('.panel[data-wire=stomp] form');
  await form.locator('input').fill('written meanwhile');
  expect(await form.locator('button').isDisabled()).toBe(true);
  const again = await ServerProcess.start({
    dataDir: server.dataDir,
    args: ['--http-port', String(port), '--serve-examples', 'true'],
  });
  try {
    await untilConnected();
    expect(await page.locator('#trouble').isVisible()).toBe(false);
    expect(await form.locator('input').inputValue()).toBe('written meanwhile');
    await talk('again');
    expect(troubles).toEqual([]);
  } finally {
    await again.stop();
    await server.restart();
  }
});

test.skipIf(!isPresent)('a refused login says why', async () => {
  const refused = await browser.newPage();
  const base = `http://127.0.0.1:${server.port('http')}/examples/browser-dashboard/`;
  await refused.goto(`${base}?password=wrong`);
  for (const wire of WIRES) {
    const reason = refused.locator(`.panel[data-wire=${wire}] .reason`);
    await reason.filter({ hasText: /refused|not authorized|access/i }).waitFor({ timeout: 60_000 });
  }
  await refused.close();
});

test.skipIf(!isPresent)('a phone shows the page without scrolling sideways', async () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    const phone = await browser.newPage({ viewport: { width: 360, height: 740 }, colorScheme });
    await phone.goto(`http://127.0.0.1:${server.port('http')}/examples/browser-dashboard/`);
    await phone.locator('.state[data-state=connected]').first().waitFor({ timeout: 60_000 });
    const widths = await phone.evaluate('[document.documentElement.scrollWidth, innerWidth]');
    expect(widths).toEqual([360, 360]);
    await phone.close();
  }
});
