// Queues one run with the npm package celery-node: node celery_node_client.js REDIS_URL SERVICE SECRET BODY PROTOCOL
const crypto = require("crypto");
const celery = require("celery-node");

const [url, service, secret, body, protocol] = process.argv.slice(2);
const id = crypto.randomUUID();
const timestamp = Math.floor(Date.now() / 1000);
const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
const signature = "v1," + crypto.createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");

const client = celery.createClient(url, url, "lml.intake");
// Its ioredis reads a user's name from the options only.
const { username, password } = new URL(url);
client.conf.CELERY_BROKER_OPTIONS = { username, password };
client.conf.CELERY_BACKEND_OPTIONS = { username, password };
client.conf.TASK_PROTOCOL = Number(protocol);
client.createTask("lml.submit").applyAsync([{ version: 1, service, id, timestamp, body, signature }], {});
setTimeout(() => client.disconnect().then(() => console.log(id)), 500);
