/**
 * Carries one write transaction to the disk: one autocommit INSERT in the plain case, otherwise
 * BEGIN with the checkpoint text, definitions, bodies, rows, COMMIT.
 */
import type { Connection, Statement } from './driver.ts';
import type { BuiltRow } from './row-builder.ts';
import type { DefinitionBatch } from './write-buffer.ts';

const UPSERT_DEFINITIONS = `INSERT INTO definition(kind, key, value)
  SELECT value->>0, value->>1, value->>2 FROM json_each(?) WHERE true
  ON CONFLICT(kind, key) DO UPDATE SET value=excluded.value`;

const DELETE_DEFINITIONS = `DELETE FROM definition WHERE (kind, key) IN
  (SELECT value->>0, value->>1 FROM json_each(?))`;

/** Everything one transaction does, all or nothing. */
export interface TransactionContent {
  readonly rows: readonly BuiltRow[];
  readonly definitions: DefinitionBatch;
  /** Statements of the cleaner; may be empty. */
  readonly text: string;
}

export class TransactionWriter {
  readonly #connection: Connection;
  readonly #insertRow: Statement;
  readonly #insertBody: Statement;
  readonly #upsertDefinitions: Statement;
  readonly #deleteDefinitions: Statement;

  private constructor(connection: Connection, statements: readonly Statement[]) {
    this.#connection = connection;
    this.#insertRow = statements[0]!;
    this.#insertBody = statements[1]!;
    this.#upsertDefinitions = statements[2]!;
    this.#deleteDefinitions = statements[3]!;
  }

  static async create(connection: Connection): Promise<TransactionWriter> {
    const texts = [
      'INSERT INTO journal(id, runs, data) VALUES (?, ?, ?)',
      'INSERT INTO body(id, data) VALUES (?, ?)',
      UPSERT_DEFINITIONS,
      DELETE_DEFINITIONS,
    ];
    const statements: Statement[] = [];
    for (const text of texts) statements.push(await connection.prepare(text));
    return new TransactionWriter(connection, statements);
  }

  /**
   * Writes the transaction; on an error nothing of it is durable, and it may be tried again. The
   * bytes of rows and bodies are borrowed until the promise is settled.
   */
  async write(content: TransactionContent): Promise<void> {
    const { rows, definitions, text } = content;
    const { upserts, removals } = definitions;
    const only = rows[0];
    const isPlain = text === '' && upserts.length === 0 && removals.length === 0;
    if (isEmpty(content)) {
      // Everything was cancelled: the ticket still advances from the event loop, not from here.
      await new Promise((resolve) => setImmediate(resolve));
      return;
    }
    if (isPlain && rows.length === 1 && only !== undefined && !hasNewBodies(only)) {
      await this.#insertRow.run([only.row.id, only.runs, only.data]);
      return;
    }
    try {
      await this.#connection.execute(`BEGIN IMMEDIATE; ${text}`);
      for (const batch of upserts) await this.#upsertDefinitions.run([batch]);
      for (const batch of removals) await this.#deleteDefinitions.run([batch]);
      for (const built of rows) {
        for (const body of built.bodies) {
          if (body.bytes !== undefined) await this.#insertBody.run([body.id, body.bytes]);
        }
        await this.#insertRow.run([built.row.id, built.runs, built.data]);
      }
      await this.#connection.execute('COMMIT');
    } catch (error) {
      // Some errors have rolled back already, and then this one says so: not worth hearing.
      await this.#connection.execute('ROLLBACK').catch(() => undefined);
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#insertRow.finalize();
    await this.#insertBody.finalize();
    await this.#upsertDefinitions.finalize();
    await this.#deleteDefinitions.finalize();
  }
}

/** Whether there is nothing to write. */
export function isEmpty({ rows, definitions, text }: TransactionContent): boolean {
  const { upserts, removals } = definitions;
  return rows.length === 0 && text === '' && upserts.length === 0 && removals.length === 0;
}

function hasNewBodies(built: BuiltRow): boolean {
  return built.bodies.some((body) => body.bytes !== undefined);
}
