import { describe, expect, it } from "vitest";
import { CodecRule, order } from "../src/rtc/codec";

describe("the codec", () => {
  it("is G.711 while the network is good, and after a single burst of loss", () => {
    const rule = new CodecRule();
    rule.measured(20, 100);
    rule.measured(20, 100);
    rule.measured(1, 100);
    rule.measured(20, 100);
    expect(rule.codec("auto")).toBe("g711");
  });

  it("becomes Opus when packets keep getting lost, and stays it", () => {
    const rule = new CodecRule();
    for (let i = 0; i < 3; i++) rule.measured(3, 100);
    expect(rule.codec("auto")).toBe("opus");
    for (let i = 0; i < 9; i++) rule.measured(0, 100);
    expect(rule.codec("auto")).toBe("opus");
    rule.forget();
    expect(rule.codec("auto")).toBe("g711");
  });

  it("is not judged by a handful of packets", () => {
    const rule = new CodecRule();
    for (let i = 0; i < 9; i++) rule.measured(5, 10);
    expect(rule.codec("auto")).toBe("g711");
  });

  it("is what the person has chosen", () => {
    const rule = new CodecRule();
    expect(rule.codec("opus")).toBe("opus");
    for (let i = 0; i < 3; i++) rule.measured(50, 100);
    expect(rule.codec("g711")).toBe("g711");
  });

  it("is asked for by its place in the offer, with G.711 always behind it", () => {
    expect(order("g711")).toEqual(["audio/pcmu", "audio/pcma"]);
    expect(order("opus")[0]).toBe("audio/opus");
    expect(order("opus")).toContain("audio/pcmu");
  });
});
