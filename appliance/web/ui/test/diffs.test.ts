import { describe, expect, it } from "vitest";
import { apply } from "../src/diffs";

const state = {
  office: "A",
  facts: 1,
  agents: [
    { id: "ana", phase: "ready", call: null },
    { id: "bo", phase: "offline", call: null },
  ],
  waiting: [] as object[],
};

describe("differences", () => {
  it("change top values and leave the rest", () => {
    const next = apply(state, { set: { facts: 2 } });
    expect(next).toEqual({ ...state, facts: 2 });
    expect(next.agents).toBe(state.agents);
    expect(state.facts).toBe(1);
  });

  it("change a row and keep the others as they are", () => {
    const next = apply(state, { tables: { agents: { rows: [{ id: "bo", phase: "ready" }] } } });
    expect(next.agents).toEqual([state.agents[0], { id: "bo", phase: "ready", call: null }]);
    expect(next.agents[0]).toBe(state.agents[0]);
  });

  it("bring rows, move them and take them away", () => {
    const first = apply(state, {
      tables: { waiting: { rows: [{ entry: "e1" }, { entry: "e2" }], order: ["e2", "e1"] } },
    });
    expect(first.waiting).toEqual([{ entry: "e2" }, { entry: "e1" }]);
    const second = apply(first, { tables: { waiting: { order: ["e1"] } } });
    expect(second.waiting).toEqual([{ entry: "e1" }]);
    expect(apply(second, { tables: { waiting: { order: [] } } }).waiting).toEqual([]);
  });
});
