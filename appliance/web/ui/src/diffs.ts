/** Differences between live states, as the box sends them; see appliance/web/diffs.py. */

type Row = Record<string, unknown>;

export interface Change {
  set?: Row;
  tables?: Record<string, { rows?: Row[]; order?: string[] }>;
}

const keys: Record<string, string> = {
  agents: "id",
  queues: "id",
  waiting: "entry",
  calls: "call",
  lines: "id",
  phones: "extension",
  parked: "orbit",
  callbacks: "callback",
  campaigns: "id",
  alarms: "id",
};

/** The state after a difference. Rows that did not change stay the same objects. */
export function apply<S extends object>(old: S, change: Change): S {
  const next: Row = { ...old, ...change.set };
  for (const [name, table] of Object.entries(change.tables ?? {})) {
    const key = keys[name];
    if (!key) continue;
    const rows = new Map<string, Row>();
    for (const row of ((old as Row)[name] as Row[] | undefined) ?? []) rows.set(String(row[key]), row);
    for (const row of table.rows ?? []) {
      const id = String(row[key]);
      rows.set(id, { ...rows.get(id), ...row });
    }
    next[name] = table.order ? table.order.flatMap((id) => rows.get(id) ?? []) : [...rows.values()];
  }
  return next as S;
}
