import { OPTION_GROUPS, type OptionGroup } from './option-row.ts';
import { environmentName, OPTION_KEYS, optionOf } from './options.ts';
import { RABBITMQ_KEYS } from './rabbitmq-conf.ts';

/** The part of docs/CONFIG.md that comes from the option table, in Markdown. */
export function renderOptionDocs(): string {
  return OPTION_GROUPS.map(renderGroup).join('\n');
}

/** The keys of rabbitmq.conf that are understood and the options they set, in Markdown. */
export function renderRabbitmqDocs(): string {
  const rows = [...RABBITMQ_KEYS].map(([key, options]) => {
    return `| \`${key}\` | ${options.map((option) => `\`${option}\``).join(', ')} |`;
  });
  return `| key | option |\n|---|---|\n${rows.join('\n')}\n`;
}

function renderGroup(group: OptionGroup): string {
  const rows = OPTION_KEYS.filter((key) => optionOf(key).group === group).map((key) => {
    const { type, default: text, doc, unavailable } = optionOf(key);
    const values = type.hint.split('|').map((word) => (type.hint === word ? word : `\`${word}\``));
    const shown = `${values.join(', ')}${type.isList ? ', repeatable' : ''}`;
    const meaning = unavailable === undefined ? doc : `${doc} Only \`off\`: ${unavailable}.`;
    const standard = text === '' ? 'not set' : `\`${text}\``;
    return `| \`${key}\` | \`${environmentName(key)}\` | ${shown} | ${standard} | ${meaning} |`;
  });
  const head = '| key and flag | environment | value | default | meaning |\n|---|---|---|---|---|';
  return `### ${group}\n\n${head}\n${rows.join('\n')}\n`;
}
