/** An account as typed clients read it (`int64` in Go): 0 for a user whose name is no number. */
export function accountNumber(owner: string): number {
  return /^[1-9]\d{0,14}$/.test(owner) ? Number(owner) : 0;
}
