// Follows a table of a product with the JavaScript client: every change once and in order, as JSON lines.
//
//     npm install nats
//     node follow.mjs nats://127.0.0.1:4224 LEAF_DATA/keys/app.nk DOMAIN PRODUCT TABLE MAJOR [EPOCH:SEQ]
import { readFileSync } from "node:fs";
import { connect, createInbox, nkeyAuthenticator } from "nats";

const [url, seedFile, domain, product, table, major, from = "1:0"] = process.argv.slice(2);
const seed = new TextEncoder().encode(readFileSync(seedFile, "utf8").trim());
const connection = await connect({ servers: url.replace("nats://", ""), authenticator: nkeyAuthenticator(seed) });
let [epoch, at] = from.split(":").map(Number);

// Prints what is new of the lines; what was seen already is a repetition.
function take(inEpoch, lines) {
    for (const line of lines.split("\n").filter((l) => l !== "")) {
        const { seq } = JSON.parse(line);
        if (inEpoch !== epoch || seq > at) {
            [epoch, at] = [inEpoch, seq];
            console.log(line);
        }
    }
}

// The pages of an answer: messages up to an empty one without headers.
async function* ask(subject, body) {
    const inbox = createInbox();
    const pages = connection.subscribe(inbox, { timeout: 5000 });
    try {
        connection.publish(subject, JSON.stringify(body), { reply: inbox });
        for await (const page of pages) {
            if (page.data.length === 0 && !page.headers) {
                break;
            }
            if (page.headers?.code === 503) {
                throw Object.assign(new Error("nobody answers"), { code: "503" });
            }
            if (page.headers?.get("Nats-Service-Error-Code")) {
                throw new Error(`${page.headers.get("Sheaf-Error")}: ${page.headers.get("Nats-Service-Error")}`);
            }
            yield page;
        }
    } finally {
        pages.unsubscribe();
    }
}

// Asks for what is missing behind the position, until there is an answer: the leaf may be away.
async function replay() {
    for (;;) {
        const body = { table, major: Number(major), after: `${epoch}:${at}` };
        try {
            for await (const page of ask(`q.${domain}.${product}.changes`, body)) {
                take(Number(page.headers.get("Sheaf-Position").split(":")[0]), page.string());
            }
            return;
        } catch (error) {
            if (error.code !== "TIMEOUT" && error.code !== "503") {
                throw error;
            }
            await new Promise((resolve) => setTimeout(resolve, 1000));
        }
    }
}

const live = connection.subscribe(`dp.${domain}.${product}.${table}.v${major}.>`);
await connection.flush();
await replay();
for await (const message of live) {
    const where = message.headers.get("Sheaf-Position") || message.headers.get("Sheaf-Head");
    const inEpoch = Number(where.split(":")[0]);
    if (inEpoch !== epoch || Number(message.headers.get("Sheaf-Prev")) > at) {
        await replay(); // something before this message was lost
    }
    if (message.data.length > 0) {
        take(inEpoch, message.string());
    }
}
