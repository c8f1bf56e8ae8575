// Says which request it took this one for, and writes it down. Below /early it
// answers before it has read the body.
const http = require('http');
http.createServer((req, res) => {
  console.log(`took ${req.method} ${req.url}`);
  const answer = () => res.end(`took ${req.method} ${req.url}`);
  if (req.url.includes('/early')) return answer();
  req.on('end', answer).on('error', () => {}).resume();
}).listen(process.env.PORT, '127.0.0.1');
