import { OptionValueError, type OptionType } from './option-types.ts';

const SEPARATOR = ';';

/**
 * Which vhost goes with what: `1883=/`, `CN=device 7,O=plant=/plant`. The vhost follows the last
 * `=`. Distinguished names hold commas, so that only `;` separates entries of one text; a repeated
 * flag and a list in the file hold one entry, or more, each.
 *
 * @param hint  of the whole entry, for the documentation
 * @param isKey  whether the text before the vhost is one that can occur
 */
export function vhostMap(
  hint: string,
  isKey: (key: string) => boolean,
): OptionType<ReadonlyMap<string, string>> {
  const expectation = `entries such as ${hint}, with \`;\` between them`;
  const entryOf = (entry: string): [key: string, vhost: string] => {
    const at = entry.lastIndexOf('=');
    const key = entry.slice(0, Math.max(at, 0)).trim();
    const vhost = entry.slice(at + 1).trim();
    if (at < 0 || vhost === '' || !isKey(key)) throw new OptionValueError(expectation);
    return [key, vhost];
  };
  return {
    hint,
    isList: true,
    parse: (raw) => {
      const texts: unknown[] = Array.isArray(raw) ? raw : [raw];
      const entries = texts.flatMap((text) => {
        if (typeof text !== 'string') throw new OptionValueError(expectation);
        return text.split(SEPARATOR).map((entry) => entry.trim());
      });
      return new Map(entries.filter((entry) => entry !== '' && entry !== 'none').map(entryOf));
    },
    format: (vhosts) => {
      const entries = [...vhosts].map(([key, vhost]) => `${key}=${vhost}`);
      return entries.length === 0 ? 'none' : entries.join(`${SEPARATOR} `);
    },
  };
}

export const VHOSTS_BY_PORT = vhostMap('port=vhost', (key) => /^\d{1,5}$/.test(key));
export const VHOSTS_BY_CERTIFICATE = vhostMap('name=vhost', (key) => key !== '');
