/** True for 127.0.0.0/8, ::1 and their v4-mapped IPv6 forms, in the spelling Node reports. */
export function isLoopbackAddress(address: string): boolean {
  const text = address.toLowerCase();
  if (text === '::1') return true;
  const v4 = text.startsWith('::ffff:') ? text.slice('::ffff:'.length) : text;
  return /^127(\.\d{1,3}){3}$/.test(v4);
}
