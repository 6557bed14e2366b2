import { describeStoreContract } from './store-contract.ts';
import { SqliteHarness } from './sqlite-harness.ts';

describeStoreContract('SqliteStore', () => new SqliteHarness());
