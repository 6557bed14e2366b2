/** What the kernel says about a process: CPU time, memory, and which one listens on a port. */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

/** Linux counts CPU time in ticks of 1/100 s for user space, whatever the kernel's own rate. */
const TICKS_PER_SECOND = 100;

/** User and system CPU seconds of a process so far, without its children; 0 when it is gone. */
export function cpuSeconds(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command may hold blanks and parentheses; fields are counted after the last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return 0;
  }
}

/** Resident memory in bytes: all of it, and the anonymous part that no file backs. */
export function residentBytes(pid: number): { total: number; anonymous: number } {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    return { total: kibField(status, 'VmRSS'), anonymous: kibField(status, 'RssAnon') };
  } catch {
    return { total: 0, anonymous: 0 };
  }
}

function kibField(status: string, name: string): number {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status);
  return match === null ? 0 : Number(match[1]) * 1024;
}

/** The process that listens on a local TCP port, or undefined (not local, or not ours to see). */
export function pidListeningOn(port: number): number | undefined {
  const inodes = new Set<string>();
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of readLines(file)) {
      const fields = line.trim().split(/\s+/);
      const isListening = fields[3] === '0A';
      const localPort = Number.parseInt(fields[1]?.split(':')[1] ?? '', 16);
      if (isListening && localPort === port) inodes.add(`socket:[${fields[9]}]`);
    }
  }
  if (inodes.size === 0) return undefined;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    if (holdsOneOf(name, inodes)) return Number(name);
  }
  return undefined;
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'latin1').split('\n').slice(1);
  } catch {
    return [];
  }
}

function holdsOneOf(pid: string, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return inodes.has(readlinkSync(`/proc/${pid}/fd/${fd}`));
      } catch {
        return false;
      }
    });
  } catch {
    return false;
  }
}
