// Reads JSON of rendered Secrets on standard input, and lets consumers take them in with their own code:
// nodemailer, which Rocket.Chat and Langfuse hand their URL to, and n8n's configuration.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import nodemailer from 'nodemailer';

const cases = JSON.parse(readFileSync(0, 'utf8'));
assert.equal(cases.length, 4);
assert(cases.some(({ password }) => password.includes('/')) && cases.some(({ password }) => password.includes('+')));

function mailer(url) {
  const { options } = nodemailer.createTransport(url).transporter;
  return {
    host: options.host,
    port: options.port,
    username: options.auth.user,
    password: options.auth.pass,
    implicitTls: options.secure,
  };
}

// n8n reads the environment when its classes are made: once per process.
const N8N = `
  await import('reflect-metadata');
  const { Container } = await import('@n8n/di');
  const { GlobalConfig } = await import('@n8n/config');
  const { emails } = Container.get(GlobalConfig).userManagement;
  const { host, port, secure, startTLS, auth } = emails.smtp;
  console.log(JSON.stringify({ mode: emails.mode, host, port, secure, startTLS, user: auth.user, pass: auth.pass }));
`;

function n8n(data) {
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, ...data };
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', N8N], { cwd: import.meta.dirname, env, encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
  return JSON.parse(run.stdout);
}

for (const { presets, ...wanted } of cases) {
  assert.deepEqual(mailer(presets.rocketchat['mail-url']), wanted);
  assert.deepEqual(mailer(presets.langfuse.SMTP_CONNECTION_URL), wanted);
  const { host, port, username: user, password: pass, implicitTls: secure } = wanted;
  assert.deepEqual(n8n(presets.n8n), { mode: 'smtp', host, port, secure, startTLS: !secure, user, pass });
}
console.log(`nodemailer and n8n: ${cases.length} Secrets each`);
