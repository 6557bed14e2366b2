/**
 * The pages of `examples/` and the browser builds of the clients they use, for development: a
 * fixed set of files, listed when the server starts. Nothing else can be asked for.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Answers a path below `/examples/`. */
export type ExamplePages = (path: string, response: ServerResponse) => void;

const PREFIX = '/examples/';
/** The page to begin with. */
export const EXAMPLES_START = `${PREFIX}browser-dashboard/`;
const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
};
/** Browser builds by the name they are served under. */
const VENDOR: Readonly<Record<string, string>> = {
  'amqp.js': '@cloudamqp/amqp-client/dist/amqp-websocket-client.mjs',
  'mqtt.js': 'mqtt/dist/mqtt.esm.js',
  'stomp.js': '@stomp/stompjs/bundles/stomp.umd.min.js',
};
/** MQTT.js keeps its timers in a worker, which goes on in a tab that is not looked at. */
const POLICY =
  "default-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:; worker-src blob:; " +
  "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/** @throws Error with a sentence for the operator when the examples are not there */
export function createExamplePages(): ExamplePages {
  const root = findRoot(dirname(fileURLToPath(import.meta.url)));
  if (root === undefined) {
    throw new Error('serve-examples: no examples here; they come with the source repository');
  }
  const files = listFiles(root);
  return (path, response) => {
    if (path.endsWith('/') && files.has(`${path}index.html`)) {
      answerFile(response, files.get(`${path}index.html`)!);
    } else if (files.has(path)) {
      answerFile(response, files.get(path)!);
    } else if (path === PREFIX || files.has(`${path}/index.html`)) {
      response.writeHead(302, { location: path === PREFIX ? EXAMPLES_START : `${path}/` });
      response.end();
    } else {
      response.writeHead(404, { 'content-type': 'text/plain' });
      response.end('not found\n');
    }
  };
}

/** True for paths that belong to the examples. */
export function isExamplePath(path: string): boolean {
  return path.startsWith(PREFIX);
}

/** The nearest folder above with `examples` in it: sources and build lie at different depths. */
function findRoot(from: string): string | undefined {
  for (let folder = from; folder !== dirname(folder); folder = dirname(folder)) {
    if (existsSync(join(folder, 'examples', 'browser-dashboard'))) return folder;
  }
  return undefined;
}

function listFiles(root: string): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  const examples = join(root, 'examples');
  for (const entry of readdirSync(examples, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || CONTENT_TYPES[extname(entry.name)] === undefined) continue;
    const file = join(entry.parentPath, entry.name);
    files.set(PREFIX + file.slice(examples.length + 1).replaceAll('\\', '/'), file);
  }
  for (const [name, path] of Object.entries(VENDOR)) {
    const file = join(root, 'node_modules', path);
    if (existsSync(file)) files.set(`${PREFIX}vendor/${name}`, file);
  }
  return files;
}

function answerFile(response: ServerResponse, file: string): void {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch {
    response.writeHead(404, { 'content-type': 'text/plain' });
    response.end('gone\n');
    return;
  }
  response.writeHead(200, {
    'content-type': CONTENT_TYPES[extname(file)],
    'content-length': bytes.length,
    'content-security-policy': POLICY,
    'cache-control': 'no-cache',
    'x-content-type-options': 'nosniff',
  });
  response.end(bytes);
}
