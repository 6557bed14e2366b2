import { runAdminCommand } from '../../../src/server/commands/run-command.ts';

/** What came of a command. */
export interface Typed {
  /** Undefined when it is no command of ours. */
  readonly code: number | undefined;
  readonly output: string;
  readonly errors: string;
}

/** Runs a command as an operator types it, in this process; `input` is what comes on its input. */
export async function typeCommand(directory: string, argv: string, input = ''): Promise<Typed> {
  let output = '';
  let errors = '';
  const code = await runAdminCommand(argv.split(' '), {
    environment: { TRIBUTARY_DATA_DIR: directory, TRIBUTARY_DURABILITY: 'relaxed' },
    version: '1.2.3',
    write: (text) => {
      output += text;
      return Promise.resolve();
    },
    writeError: (text) => {
      errors += text;
    },
    readInput: () => Promise.resolve(input),
  });
  return { code, output, errors };
}
