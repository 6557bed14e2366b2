/** `npm start`: builds what is missing, then serves in this same process, so signals reach it. */
import { buildIfStale } from './build-if-stale.mjs';

buildIfStale();
await import('../dist/src/main.js');
