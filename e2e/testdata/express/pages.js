// An intranet application as tutorials write them: pages for everybody, for
// users, for moderators and for administrators, a guest book in the session,
// and no login of its own. It believes the headers that it is sent.
const express = require('express')
const session = require('express-session')

const app = express()

app.use(session({ secret: 'keyboard cat', resave: false, saveUninitialized: true }))
app.use(express.urlencoded({ extended: false }))

app.get('/', (req, res) => res.send('<h1>Public page</h1>'))
app.get('/user', (req, res) => res.send(`<h1>Hello ${req.get('X-Auth-User')}</h1>`))
app.get('/mod', (req, res) => res.send('<h1>Moderator board</h1>'))
app.get('/admin', (req, res) => res.send('<h1>Admin board</h1>'))

// what the application was told: raw, so that nothing is merged or hidden
app.all('/headers', (req, res) => res.json({ raw: req.rawHeaders, cookies: req.get('Cookie') || '', user: req.get('X-Auth-User') || '' }))

app.get('/user/guestbook', (req, res) => res.json(req.session.entries || []))
app.post('/user/guestbook', (req, res) => {
  req.session.entries = (req.session.entries || []).concat(req.get('X-Auth-User') + ': ' + req.body.entry)
  res.redirect(303, '/user/guestbook')
})

app.listen(Number(process.env.PORT), '127.0.0.1')
