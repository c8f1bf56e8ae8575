// Runs an example from the README of express-session as it stands there, on
// the port in $PORT:
//
//   node readme.js "User login"
//
// So the application behind the gateway is one that nobody here wrote.
const fs = require('node:fs')
const path = require('node:path')
const Module = require('node:module')

const readme = path.join(path.dirname(require.resolve('express-session')), 'README.md')
const chapter = fs.readFileSync(readme, 'utf8').split('### ' + process.argv[2] + '\n')[1]
const example = chapter.split('```js\n')[1].split('```')[0]

if (!example.includes('app.listen(3000)')) {
  throw new Error('the example does not listen on port 3000: what does it do?')
}
const program = new Module(path.join(__dirname, 'example.js'), module)
program.filename = path.join(__dirname, 'example.js')
program.paths = module.paths
program._compile(example.replace('app.listen(3000)', 'app.listen(Number(process.env.PORT), "127.0.0.1")'), program.filename)
