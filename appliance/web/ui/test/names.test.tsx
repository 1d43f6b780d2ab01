import { render } from "preact";
import { act } from "preact/test-utils";
import { beforeEach, describe, expect, it } from "vitest";
import { ApiError, explain } from "../src/api";
import { Caller } from "../src/format";
import { T, use } from "../src/i18n";
import { outcomeName, partyName, word } from "../src/names";

describe("names", () => {
  beforeEach(() => use("en"));

  it("says parties as people do", () => {
    expect(partyName("line:line1")).toBe("Line line1");
    expect(partyName("agent:ana")).toBe("ana");
    expect(partyName("phone:101")).toBe("Phone 101");
    expect(partyName("something")).toBe("something");
  });

  it("translates known words and leaves unknown ones", () => {
    expect(word("no_answer")).toBe("no answer");
    expect(word("sip_486")).toBe("sip_486");
    expect(outcomeName("answered")).toBe("Answered");
    expect(outcomeName("line_lost")).toBe("Not answered");
  });

  it("explains an error in the page's language, or in the box's own words", async () => {
    await use("ro");
    expect(explain(new ApiError(503, "restarting", "x"))).toContain("repornește");
    expect(explain(new ApiError(409, "refused", "Line 1 is in use."))).toBe("Line 1 is in use.");
    expect(explain(new Error("?"))).toContain("eroare");
  });

  it("isolates a number from the direction of the sentence", async () => {
    await use("fa");
    const root = document.createElement("div");
    await act(() => render(<Caller caller="+40721" name="Maria" />, root));
    expect([...root.querySelectorAll("bdi")].map((one) => one.textContent)).toEqual([
      "Maria",
      "+40721",
    ]);
    expect(root.querySelector("bdi[dir=ltr]")?.textContent).toBe("+40721");
    await act(() => render(<T k="duty.not_agent" v={{}} />, root));
    expect(root.textContent).not.toBe("");
  });
});
