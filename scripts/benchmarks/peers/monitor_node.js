// The peer of the benchmark: `monitor.do` by Node's http, which checks the code and the digest,
// parses the JSON, and answers. usage: node monitor_node.js CODE. Prints its port.
'use strict';
const http = require('node:http');
const { createHash } = require('node:crypto');

const code = process.argv[2];
const answers = new Map([['1000', '成功'], ['1001', '无权使用该接口'], ['1002', '参数有误'],
  ['1004', '无效的签名']].map(([key, msg]) => [key, Buffer.from(JSON.stringify({ code: key, msg }))]));

function judge(request, body) {
  if (request.headers['binfile-auth'] !== code) return '1001';
  if (createHash('md5').update(body).digest('hex') !== request.headers['binfile-md5']) return '1004';
  try {
    const fields = JSON.parse(body.toString());
    return fields.gantryId && fields.method && fields.cabinetStatus ? '1000' : '1002';
  } catch {
    return '1002';
  }
}

const server = http.createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    const answer = answers.get(judge(request, parts.length === 1 ? parts[0] : Buffer.concat(parts)));
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': answer.length });
    response.end(answer);
  });
});
server.keepAliveTimeout = 300000;
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
