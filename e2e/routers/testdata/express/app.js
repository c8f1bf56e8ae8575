// The places of places_test.go in Express. Run with the module to load:
// express is version 5, express4 version 4.
const [, , version, port, files] = process.argv
const express = require(version)

const app = express()
app.disable('etag')
const answer = (name) => (req, res) => res.type('text').send(name + '\t' + (req.params.id ?? ''))

app.get('/', answer('root'))
app.get('/exact', answer('exact'))
app.use('/Panel', answer('panel'))
app.use('/admin', answer('admin'))
app.get('/items/secret', answer('secret'))
app.get('/items/:id', answer('item'))
app.get('/users', answer('users'))
app.use('/users/:id', answer('user'))
app.get('/closed/', answer('closed'))
// Express compares literals with the path as it was sent, so that is how an
// application writes them.
app.get('/my%20page', answer('page'))
app.get('/caf%C3%A9', answer('cafe'))
app.use('/open/staff', answer('staff'))
app.use('/open', answer('open'))
app.use('/files', express.static(files))
app.use(answer('rest'))
app.use((err, req, res, next) => res.status(err.status || 500).type('text').send('refused\t'))

app.listen(port, '127.0.0.1')
