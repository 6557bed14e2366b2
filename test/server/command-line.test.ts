import { stdout } from 'node:process';
import { describe, expect, test, vi } from 'vitest';
import { parseCommandLine } from '../../src/server/command-line.ts';
import { ConfigError } from '../../src/server/config-loader.ts';

function problemsOf(...argv: string[]): readonly string[] {
  try {
    parseCommandLine(argv, '1.2.3');
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('parseCommandLine', () => {
  test('serves by default', () => {
    expect(parseCommandLine([], '1.2.3')).toEqual({
      command: 'serve',
      flags: new Map(),
      file: undefined,
    });
  });

  test('takes flags before and after the command, and repeated ones', () => {
    const argv = '--config a.toml check-config --host ::1 --host=127.0.0.1 --amqp-port 0';
    expect(parseCommandLine(argv.split(' '), '1.2.3')).toEqual({
      command: 'check-config',
      flags: new Map<string, unknown>([
        ['host', ['::1', '127.0.0.1']],
        ['amqp-port', '0'],
      ]),
      file: 'a.toml',
    });
  });

  test('reports every unknown word and flag, with the nearest one', () => {
    expect(problemsOf('serve', '--ampq-port=1', '--zzz')).toEqual([
      '--ampq-port: no such option; did you mean `--amqp-port`?',
      '--zzz: no such option',
    ]);
    expect(problemsOf('--ampq-port', '1')).toEqual([
      '--ampq-port: no such option; did you mean `--amqp-port`?',
    ]);
    expect(problemsOf('chek-config')).toEqual([
      'chek-config: no such command; did you mean `check-config`?',
    ]);
  });

  test('knows the commands that have arguments of their own', () => {
    expect(problemsOf('--data-dir', 'x', 'add-user', 'bob')).toEqual([
      'add-user: comes first: tributary add-user ...',
    ]);
    expect(problemsOf('list-user')).toEqual([
      'list-user: no such command; did you mean `list-users`?',
    ]);
  });

  test('prints a help that fits a terminal', () => {
    const written: string[] = [];
    const write = vi.spyOn(stdout, 'write').mockImplementation((text) => {
      written.push(String(text));
      return true;
    });
    try {
      for (const argv of [['--help'], ['help']]) {
        expect(parseCommandLine(argv, '1.2.3').command).toBe('exit');
      }
    } finally {
      write.mockRestore();
    }
    const lines = written.join('').split('\n');
    expect(lines).toContain('Listeners:');
    expect(lines).toContain('  --amqp-port <port>          AMQP 0-9-1. (default 5672)');
    // A list of choices may be longer, on a line of its own.
    const columns = stdout.isTTY ? Math.max(stdout.columns, 80) : 80;
    expect(lines.filter((line) => line.length > columns && !/^ {2}--/.test(line))).toEqual([]);
  });

  test('reports a flag without its value', () => {
    expect(problemsOf('--amqp-port')[0]).toContain('--amqp-port');
  });
});
