// Asks a leaf with the JavaScript client: client.mjs URL SEED_FILE, requests as lines of JSON on standard
// input, {"subject","body"}, {"in","body"} for records, or {"micro":"ping|info|stats","name"}; each answer as one line.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { connect, createInbox, nkeyAuthenticator } from "nats";

const seed = new TextEncoder().encode(readFileSync(process.argv[3], "utf8").trim());
const connection = await connect({
    servers: process.argv[2].replace("nats://", ""), authenticator: nkeyAuthenticator(seed),
});

function shown(message) {
    const headers = {};
    for (const name of message.headers?.keys() ?? []) {
        headers[name] = message.headers.get(name);
    }
    return { text: message.string(), headers };
}

async function ask(subject, body) {
    const inbox = createInbox();
    const pages = [];
    const subscription = connection.subscribe(inbox);
    connection.publish(subject, JSON.stringify(body), { reply: inbox });
    for await (const page of subscription) {
        if (page.data.length === 0 && !page.headers) {
            break;
        }
        pages.push(shown(page));
    }
    return pages;
}

// What `nats micro ls`, `info` and `stats` ask, by the client's own helper.
async function micro(verb, name) {
    const found = [];
    try {
        for await (const one of await connection.services.client()[verb](name)) {
            found.push(one);
        }
    } catch (error) {
        if (error.code !== "503") { // nobody listens
            throw error;
        }
    }
    return found;
}

for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    const answer = request.micro ? await micro(request.micro, request.name)
        : request.in ? shown(await connection.request(request.in, JSON.stringify(request.body)))
        : await ask(request.subject, request.body);
    console.log(JSON.stringify(answer));
}
await connection.close();
