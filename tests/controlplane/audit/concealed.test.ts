import { expect, test } from 'vitest';
import { concealed, concealedCommand } from '../../../src/controlplane/audit/concealed.ts';
import { newInvitation } from '../../../src/controlplane/auth/invitation-secret.ts';
import { newKeySecret } from '../../../src/controlplane/auth/key-secret.ts';
import { newSessionSecret } from '../../../src/controlplane/auth/session-secret.ts';
import { newPreviewToken } from '../../../src/controlplane/previews/preview-secrets.ts';

const mark = '‹concealed›';

test.each([
  ['curl -H "Authorization: Bearer abcdefgh12345"', `curl -H "Authorization: ${mark}"`],
  ['TOKEN=abc make', `TOKEN=${mark} make`],
  ['export AWS_SECRET_ACCESS_KEY=abc; ls', `export AWS_SECRET_ACCESS_KEY=${mark}; ls`],
  ['git clone https://ada:pass@host/x', `git clone https://${mark}@host/x`],
  ['echo ghp_0123456789abcdefABCDEF', `echo ${mark}`],
  ['echo sk-proj-0123456789abcdef', `echo ${mark}`],
  ['echo eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln- x', `echo ${mark} x`],
  ['echo id-eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0', `echo id-${mark}`],
  ['echo eyJhIjoiYiIsImMiOiJkIn0 eyJhIjoiYiIsImMiOiJkIn0.b', 'echo eyJhIjoiYiIsImMiOiJkIn0 eyJhIjoiYiIsImMiOiJkIn0.b'],
  ['mysql --password hunter2 db', `mysql --password ${mark} db`],
  ["login --token='a b'", `login --token=${mark}`],
  ["curl -H 'X-Auth: hunter2' h", `curl -H 'X-Auth: ${mark}' h`],
  ['curl -d {"password":"hunter2","user":"bob"} h', `curl -d {"password":${mark},"user":"bob"} h`],
  ['{"api_key" : "hun \\" ter2", "a": 1}', `{"api_key" : ${mark}, "a": 1}`],
  ["{'token': 'hunter2'}", `{'token': ${mark}}`],
  ["{'token'=>'hunter2'}", `{'token'=>${mark}}`],
  ["{'token' => 'hunter2'}", `{'token' => ${mark}}`],
  [
    'sh -c "curl -d \\"{\\\\\\"secret\\\\\\":\\\\\\"hunter2\\\\\\"}\\" h"',
    `sh -c "curl -d \\"{\\\\\\"secret\\\\\\":${mark}}\\" h"`,
  ],
  ['curl "https://h/?a=1&access_token=hunter2&b=2"', `curl "https://h/?a=1&access_token=${mark}&b=2"`],
  ['url=https://h/?access_token=hunter2', `url=https://h/?access_token=${mark}`],
  ['curl https://h/blob?se=1&sig=hunter2%3D', `curl https://h/blob?se=1&sig=${mark}`],
  ['docker run --env=DB_PASSWORD=hunter2 x', `docker run --env=DB_PASSWORD=${mark} x`],
  ['MYSQL_PWD=hunter2 mysql', `MYSQL_PWD=${mark} mysql`],
  ['PASSWORD="hunter2 that has no end', `PASSWORD=${mark}`],
  ['PASSWORD=hunter2\\ supers make', `PASSWORD=${mark} make`],
  ["TOKEN=$'hunter2' make", `TOKEN=${mark} make`],
  ['curl -su bob:hunter2 h', `curl -su bob:${mark} h`],
  ['curl -ubob@example.com:hunter2 h', `curl -ubob@example.com:${mark} h`],
  ["curl --user='bob:hun ter2' h", `curl --user='bob:${mark}' h`],
  ['curl -b "session=hunter2; a=b" h', `curl -b "session=${mark}" h`],
  ['mysql -h db -uroot -phunter2 shop', `mysql -h db -uroot -p${mark} shop`],
  ['sshpass -phunter2 ssh -p 22 h', `sshpass -p${mark} ssh -p 22 h`],
  ['sshpass -p hunter2 ssh -p 22 h', `sshpass -p ${mark} ssh -p 22 h`],
  ['redis-cli -h h -p 6379 -a hunter2 ping', `redis-cli -h h -p 6379 -a ${mark} ping`],
  ['docker login -u bob -p hunter2 r', `docker login -u bob -p ${mark} r`],
  ['npm config set //r/:_authToken hunter2', `npm config set //r/:_authToken ${mark}`],
  ['set -gx GITHUB_TOKEN hunter2', `set -gx GITHUB_TOKEN ${mark}`],
  ['echo hvs.hunter2hunter2 dop_v1_hunter2hunter2', `echo ${mark} ${mark}`],
  ['echo hf_hunter2hunter2hunter2', `echo ${mark}`],
])('%s → %s', (text, expected) => {
  expect(concealed(text)).toBe(expected);
});

const harmless = [
  'npm test -- --grep tokens',
  'git push origin ci_deploy_all',
  'ls -la /tmp',
  'docker run -p 8080:80 -u 1000:1000 nginx',
  'docker run --name mysql -p3306:3306 mysql:8',
  'docker run --name login -p 80 x',
  'gh auth login -p ssh',
  'mkdir -p dir',
  'apt-get install -y mysql-client && mkdir -pv dir',
  'ps -p 1',
  'ssh -p 22 bob@host',
  'mysql -h db -P 3306 -p shop',
  'mysql --protocol=tcp',
  'date -u +%H:%M',
  'sudo -u bob ls a:b',
  'git push -u origin HEAD:main',
  'git push -u https://host/x main',
  'git checkout -b feature',
  'gunicorn -b 0.0.0.0:8000 app',
  'cp -a from to',
  'grep -rn access_token src',
  'kubectl get secret mine',
  'git config credential.helper store',
  'set -e',
  'pip install hf_transfer',
  'cat cpv_short',
  'curl https://h:8080/path?a=1&b=2#c',
  'curl -d {"name":"bob","list":[1,2]} h',
  'java -output:x',
];
test.each(harmless)('%s stays', (text) => {
  expect(concealed(text)).toBe(text);
  expect(concealedCommand(text.split(' '))).toEqual(text.split(' '));
});

test.each([
  ['key', newKeySecret],
  ['session', newSessionSecret],
  ['invitation', newInvitation],
  ['link to a preview', newPreviewToken],
])('a %s of ours is concealed', (_, make) => {
  expect(concealed(`echo ${make()} > file`)).toBe(`echo ${mark} > file`);
});

test.each([
  '-',
  'a',
  'a-',
  'x-',
  'a.',
  '-----BEGIN ',
  'authorization ',
  '\\',
  '-u.',
  '-b ',
  'mysql-',
  'mysql -a ',
  'set -a-',
  'set .',
  'redis-cli ',
  'docker login ',
  'token ',
  'token"  ',
  'token-',
  '-token -',
  '&sig',
  '{"a":"',
  '-u "a ',
  'sshpass ',
  'eyJ-',
  'a-eyJ',
])('a text of many times %j is read once', (part) => {
  const text = part.repeat(500_000);
  expect(concealed(text)).toBe(text); // one that is read anew from each of its places takes hours
});

test('a quote that does not end, or a name in it, is read once', () => {
  for (const part of ['token="', 'token=\\"', '"token":"', "-u 'a:", 'token=\\', 'token: ', 'set token ']) {
    expect(concealed(part.repeat(200_000))).toContain(mark);
  }
});

test.each([
  ['curl|-u|bob:hun ter2|h', `curl|-u|bob:${mark}|h`],
  ['curl|--user|bob:hunter2|h', `curl|--user|bob:${mark}|h`],
  ['curl|-b|session=hunter2; a=b|h', `curl|-b|session=${mark}|h`],
  ["mysql|-uroot|-phun'ter 2|shop", `mysql|-uroot|-p${mark}|shop`],
  ['sshpass|-p|hun ter2|ssh|-p|22', `sshpass|-p|${mark}|ssh|-p|22`],
  ['redis-cli|-p|6379|-a|hunter2', `redis-cli|-p|6379|-a|${mark}`],
  ['docker|login|-u|bob|-p|hunter2', `docker|login|-u|bob|-p|${mark}`],
  ['npm|config|set|//r/:_authToken|hunter2', `npm|config|set|//r/:_authToken|${mark}`],
  ['aws|configure|set|aws_secret_access_key|hunter2', `aws|configure|set|aws_secret_access_key|${mark}`],
  ['DB_PASSWORD|=|hunter2', `DB_PASSWORD|=|${mark}`],
  ['curl|-d|{"password": "hunter2"}', `curl|-d|{"password": ${mark}}`],
  ['git|commit|-m|Set token|README.md', 'git|commit|-m|Set token|README.md'],
])('of the words %s → %s', (words, expected) => {
  expect(concealedCommand(words.split('|')).join('|')).toBe(expected);
});

test('the argument behind an option whose name tells of a secret is concealed', () => {
  expect(concealedCommand(['gh', 'auth', '--with-token', 'abc', '-v'])).toEqual([
    'gh',
    'auth',
    '--with-token',
    mark,
    '-v',
  ]);
});
