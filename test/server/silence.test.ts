import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { SILENT_LOGGER } from "../../src/base/index.ts";
import { Silence, startPings } from "../../src/server/silence.ts";

test("a silent peer is pinged in the second interval and given up after it", () => {
  const silence = new Silence();
  assert.deepEqual([silence.pass(), silence.pass(), silence.pass()], ["wait", "ping", "drop"]);
});

test("a word ends the silence", () => {
  const silence = new Silence();
  assert.deepEqual([silence.pass(), silence.pass()], ["wait", "ping"]);
  silence.end();
  assert.deepEqual([silence.pass(), silence.pass(), silence.pass()], ["wait", "ping", "drop"]);
});

test("all connections are looked at once per interval, and only the silent ones go", () => {
  mock.timers.enable({ apis: ["setInterval"] });
  const said: string[] = [];
  const peer = (remoteAddress: string) => ({
    remoteAddress,
    silence: new Silence(),
    ping: () => void said.push(`ping ${remoteAddress}`),
    drop: () => void said.push(`drop ${remoteAddress}`),
  });
  const [quiet, loud] = [peer("quiet"), peer("loud")];
  const timer = startPings(100, {
    connections: new Set([quiet, loud]),
    events: {
      open: () => assert.fail("nobody connects"),
      rejected: (reason) => void said.push(reason),
    },
    logger: SILENT_LOGGER,
  });
  for (let i = 0; i < 3; i++) {
    mock.timers.tick(100);
    loud.silence.end();
  }
  assert.deepEqual(said, ["ping quiet", "drop quiet", "idle_peer"]);
  if (timer !== null) clearInterval(timer);
  mock.timers.reset();
});

test("an interval of 0 pings nobody", () => {
  const modules = { connections: new Set<never>(), logger: SILENT_LOGGER };
  const events = { open: () => assert.fail(), rejected: () => assert.fail() };
  assert.equal(startPings(0, { ...modules, events }), null);
});
