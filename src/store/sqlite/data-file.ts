/** Opens what the store works on: directory, lock, file, prepared statements. */
import { join } from 'node:path';
import { createPrivate, DataDirLock } from '../data-dir-lock.ts';
import { createPrivateDirectory } from '../private-directory.ts';
import { Connection, isDiskFull, isMalformed } from './driver.ts';
import { metaText, readMeta } from './meta.ts';
import { RowLoader } from './row-loader.ts';
import { applyPragmas, DATA_FILE, limitFile, migrate } from './schema.ts';
import type { SqliteStoreOptions } from './store-options.ts';
import { TransactionWriter } from './transaction.ts';

/** An open data file; whoever holds it has the directory. */
export class DataFile {
  readonly path: string;
  readonly connection: Connection;
  readonly writer: TransactionWriter;
  readonly loader: RowLoader;
  readonly #lock: DataDirLock;

  private constructor(
    path: string,
    lock: DataDirLock,
    connection: Connection,
    writer: TransactionWriter,
    loader: RowLoader,
  ) {
    this.path = path;
    this.#lock = lock;
    this.connection = connection;
    this.writer = writer;
    this.loader = loader;
  }

  /** @throws DataDirBusyError when somebody has it, DataFileError when it cannot be used */
  static async open(options: SqliteStoreOptions): Promise<DataFile> {
    const { directory, durability, maxFileBytes } = options;
    createPrivateDirectory(directory);
    const lock = await DataDirLock.acquire(directory);
    let connection: Connection | undefined;
    try {
      const path = join(directory, DATA_FILE);
      createPrivate(path);
      connection = await Connection.open(path);
      await applyPragmas(connection, durability);
      await migrate(connection);
      await limitFile(connection, maxFileBytes ?? Infinity);
      const writer = await TransactionWriter.create(connection);
      const loader = await RowLoader.create(connection);
      return new DataFile(path, lock, connection, writer, loader);
    } catch (error) {
      await connection?.close().catch(() => undefined);
      await lock.release();
      throw error;
    }
  }

  /** The number this start has, and whether the last one ended in order. */
  async readBoot(): Promise<{ epoch: number; wasClean: boolean }> {
    const { epoch, isClean } = await readMeta(this.connection);
    return { epoch: epoch + 1, wasClean: isClean };
  }

  /** Makes the number durable; from now on an end without `markClean` is a crash. */
  beginEpoch(epoch: number): Promise<void> {
    return this.connection.execute(
      `BEGIN IMMEDIATE; ${metaText('epoch', epoch)}; ${metaText('is_clean', 0)}; COMMIT;`,
    );
  }

  /** Notes an end in order. */
  async markClean(): Promise<void> {
    try {
      await this.connection.execute(`${metaText('is_clean', 1)};`);
    } catch (error) {
      // No room for the mark, or no place: the next start takes this end for a crash, which is
      // always safe.
      if (!isDiskFull(error) && !isMalformed(error)) throw error;
    }
  }

  async close(): Promise<void> {
    await this.writer.close();
    await this.loader.close();
    await this.connection.close();
    await this.#lock.release();
  }
}
