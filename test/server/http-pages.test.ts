import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createExamplePages } from '../../src/server/example-pages.ts';
import { createHttpPages, type HttpPagesDeps } from '../../src/server/http-pages.ts';

let server: Server | undefined;

afterEach(() => {
  server?.close();
  server?.closeAllConnections();
});

/** Serves the pages; returns a function that asks for a path as it is written. */
async function serve(deps: Partial<HttpPagesDeps> = {}) {
  const paths = new Map([['amqp', ['/ws/amqp', '/']]]);
  const own = createServer(createHttpPages({ troubles: () => [], paths, ...deps }));
  server = own;
  await new Promise<void>((resolve) => own.listen(0, '127.0.0.1', resolve));
  const { port } = own.address() as AddressInfo;
  return (path: string, method = 'GET'): Promise<{ status: number; type: string; text: string }> =>
    new Promise((resolve, reject) => {
      const asked = request({ host: '127.0.0.1', port, path, method }, (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
        response.on('end', () => {
          const type = response.headers['content-type'] ?? '';
          resolve({ status: response.statusCode ?? 0, type, text });
        });
      });
      asked.on('error', reject);
      asked.end();
    });
}

test('says what is there and how it is', async () => {
  let troubles: string[] = [];
  const ask = await serve({ troubles: () => troubles });
  expect((await ask('/')).text).toContain('amqp: /ws/amqp, /');
  expect(await ask('/health?x=1')).toMatchObject({ status: 200, text: 'ok\n' });
  troubles = ['disk alarm'];
  expect(await ask('/health')).toMatchObject({ status: 503, text: 'disk alarm\n' });
  expect((await ask('/else')).status).toBe(404);
  expect((await ask('/', 'POST')).status).toBe(405);
});

test('examples are there only when they are asked for', async () => {
  const ask = await serve();
  expect((await ask('/examples/browser-dashboard/')).status).toBe(404);
});

test('examples and the clients they use, and no other file', async () => {
  const ask = await serve({ examples: createExamplePages() });
  const page = await ask('/examples/browser-dashboard/');
  expect(page).toMatchObject({ status: 200, type: 'text/html; charset=utf-8' });
  for (const name of ['dashboard.js', 'wires.js', 'dashboard.css']) {
    expect((await ask(`/examples/browser-dashboard/${name}`)).status).toBe(200);
  }
  for (const name of ['amqp', 'mqtt', 'stomp']) {
    const script = await ask(`/examples/vendor/${name}.js`);
    expect(script).toMatchObject({ status: 200, type: 'text/javascript; charset=utf-8' });
  }
  expect((await ask('/examples/browser-dashboard')).status).toBe(302);
  expect((await ask('/examples/')).status).toBe(302);
  expect((await ask('/')).text).toContain('Examples: /examples/browser-dashboard/');
  for (const path of [
    '/examples/../package.json',
    '/examples/browser-dashboard/../../package.json',
    '/examples/%2e%2e/package.json',
    '/examples/vendor/../../package.json',
    '/examples/browser-dashboard/README.md',
    '/examples/none/',
  ]) {
    expect((await ask(path)).status).toBe(404);
  }
});
