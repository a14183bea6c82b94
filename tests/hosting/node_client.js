// Drives every call of the unmodified npm client `durable-functions` against a served hub.
// Arguments: the folder with node_modules; what the client is made from, as JSON.
const assert = require("node:assert/strict");
const { createRequire } = require("node:module");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

const [folder, binding] = process.argv.slice(2);
const load = createRequire(path.join(folder, "package.json"));
const { DurableClient } = load("durable-functions/lib/src/durableClient/DurableClient");
const { EntityId } = load("durable-functions");

const client = new DurableClient(JSON.parse(binding));
const called = new Set();
const df = new Proxy(client, {
    get(target, name) {
        called.add(name);
        return target[name].bind(target);
    },
});
// Not for users: TypeScript calls them private.
const INNER = [
    "constructor",
    "createGenericError",
    "createHttpResponse",
    "extractUniqueWebhookOrigins",
    "extractWebhookOrigins",
    "getClientResponseLinks",
    "getDistributedTracingHeaders",
    "getStatusInternal",
    "hasValidRequestUrl",
];
const LONG_AGO = new Date("2020-01-01T00:00:00Z");
const SOON = new Date(Date.now() + 3_600_000);

async function until(what, ask) {
    for (let i = 0; i < 1000; i++) {
        const found = await ask();
        if (found) return found;
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error(`in vain: ${what}`);
}

const is = (id, status) =>
    until(`${id} is ${status}`, async () => {
        const found = await client.getStatus(id);
        return found.runtimeStatus === status && found;
    });

async function starts() {
    assert.deepEqual(await df.getStatusAll(), []);
    const generated = await df.startNew("E1_HelloSequence");
    assert.deepEqual((await is(generated, "Completed")).output, ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]);
    assert.equal((await df.getStatus(generated)).input, null);
    assert.equal(await df.startNew("Echo", { instanceId: "my-id", input: { city: "서울" } }), "my-id");
    assert.deepEqual((await is("my-id", "Completed")).output, { city: "서울" });
    // An empty text and no input are sent alike by this client.
    for (const [number, value] of [0, false, "text", [1, [2]], null, 1.5].entries()) {
        await df.startNew("Echo", { instanceId: `value-${number}`, input: value });
        assert.deepEqual((await is(`value-${number}`, "Completed")).output, value);
    }
    const versioned = await df.startNew("Versioned", { version: "1.0 a" });
    assert.equal((await is(versioned, "Completed")).output, "one");
    await assert.rejects(df.startNew("Nobody"), /no orchestration named 'Nobody'/);
    await assert.rejects(df.getStatus("nobody"), /404/);
}

async function lists() {
    await df.startNew("Approval", { instanceId: "list-runs" });
    await is("list-runs", "Running");
    const running = await df.getStatusBy({
        createdTimeFrom: LONG_AGO,
        createdTimeTo: SOON,
        runtimeStatus: ["Running", "Pending"],
    });
    assert.deepEqual(
        running.map((status) => status.instanceId),
        ["list-runs"]
    );
    assert.deepEqual(await df.getStatusBy({ createdTimeFrom: SOON }), []);
}

async function control() {
    await df.startNew("Approval", { instanceId: "c", input: "input" });
    await df.suspend("c", "need to pause");
    await is("c", "Suspended");
    await df.resume("c", "go on");
    await is("c", "Running");
    await df.raiseEvent("c", "ApprovalEvent", { ok: true });
    await is("c", "Completed");
    const full = await df.getStatus("c", { showHistory: true, showHistoryOutput: true, showInput: true });
    assert.deepEqual([full.input, full.output, full.customStatus], ["input", { ok: true }, { waits: "for approval" }]);
    assert.equal(full.historyEvents ? full.historyEvents[0].EventType : full.history[0].EventType, "ExecutionStarted");
    await df.raiseEvent("c", "ApprovalEvent", 1); // 410: all the same to this client
    await assert.rejects(df.raiseEvent("nobody", "ApprovalEvent", 1), /No instance/);
    await df.startNew("Approval", { instanceId: "silent" });
    await df.raiseEvent("silent", "ApprovalEvent");
    assert.equal((await is("silent", "Completed")).output, null);
    await df.startNew("Approval", { instanceId: "t" });
    await df.terminate("t", "found a bug");
    assert.equal((await is("t", "Terminated")).output, "found a bug");
    for (const call of ["terminate", "suspend", "resume"]) {
        await df[call]("t", "late");
        await assert.rejects(df[call]("nobody", "x"), /No instance/);
    }
}

async function rewinds() {
    const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "rewind-")), "file");
    await df.startNew("Reads", { instanceId: "w", input: file });
    await is("w", "Failed");
    fs.writeFileSync(file, "there now");
    await df.rewind("w", "the file is there");
    assert.equal((await is("w", "Completed")).output, "there now");
    fs.rmSync(path.dirname(file), { recursive: true });
    await assert.rejects(df.rewind("nobody", "x"));
    await assert.rejects(df.rewind("w", "again"));
}

async function waits() {
    const request = { url: "https://front.example/api/start" };
    const wait = (id, timeoutInMilliseconds) =>
        df.waitForCompletionOrCreateCheckStatusResponse(request, id, {
            timeoutInMilliseconds,
            retryIntervalInMilliseconds: 10,
        });
    const done = await wait("my-id", 10_000);
    assert.deepEqual([done.status, await done.json()], [200, { city: "서울" }]);
    await df.startNew("Fails", { instanceId: "failed" });
    const failed = await wait("failed", 10_000);
    assert.deepEqual([failed.status, (await failed.json()).runtimeStatus], [500, "Failed"]);
    const ended = await wait("t", 10_000);
    assert.deepEqual([ended.status, (await ended.json()).output], [200, "found a bug"]);
    const late = await wait("list-runs", 50);
    assert.deepEqual([late.status, late.headers.get("retry-after")], [202, "10"]);
    assert.match(late.headers.get("location"), /^https:\/\/front\.example\/runtime\/webhooks\/durabletask\/instances\//);
    const answer = df.createCheckStatusResponse(request, "list-runs");
    assert.equal((await answer.json()).id, "list-runs");
    const links = df.createHttpManagementPayload("list-runs");
    const found = await fetch(links.statusQueryGetUri);
    assert.deepEqual([found.status, (await found.json()).instanceId], [202, "list-runs"]);
}

async function entities() {
    const entity = new EntityId("Counter", "k1");
    const becomes = (value) =>
        until(`k1 is ${value}`, async () => {
            const found = await df.readEntityState(entity);
            return found.entityExists && found.entityState.value === value;
        });
    assert.equal((await df.readEntityState(entity)).entityExists, false);
    await df.signalEntity(entity, "add", 5);
    await becomes(5);
    await df.signalEntity(entity, "add", 0);
    await df.signalEntity(entity, "reset");
    await becomes(0);
}

async function purges() {
    assert.equal((await df.purgeInstanceHistory("my-id")).instancesDeleted, 1);
    assert.equal((await df.purgeInstanceHistory("my-id")).instancesDeleted, 0);
    const purged = await df.purgeInstanceHistoryBy({
        createdTimeFrom: LONG_AGO,
        createdTimeTo: SOON,
        runtimeStatus: ["Failed", "Terminated"],
    });
    assert.equal(purged.instancesDeleted, 2);
    assert.equal((await df.purgeInstanceHistoryBy({ createdTimeFrom: SOON })).instancesDeleted, 0);
}

async function main() {
    for (const script of [starts, lists, control, rewinds, waits, entities, purges]) await script();
    const missing = Object.getOwnPropertyNames(DurableClient.prototype).filter(
        (name) => !INNER.includes(name) && !called.has(name)
    );
    assert.deepEqual(missing, [], "methods that no script calls");
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
