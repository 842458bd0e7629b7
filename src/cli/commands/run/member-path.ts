/** Path of a member: server ids hold colons and dots, and may hold anything else. */
export function memberPath(id: string): string {
  return `/api/v1/members/${encodeURIComponent(id)}`;
}
