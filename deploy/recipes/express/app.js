// An Express application with a session of its own, behind Postern:
//
//   npm install express express-session
//   SESSION_SECRET=... node app.js
const express = require('express')
const session = require('express-session')

const app = express()

// Postern is the one proxy in front, on this machine. What it says of the
// browser is believed: req.secure, req.hostname and req.ip are the browser's.
app.set('trust proxy', 'loopback')

// A Secure cookie, which express-session sets where req.secure holds.
app.use(session({
  secret: process.env.SESSION_SECRET,
  resave: false,
  saveUninitialized: false,
  cookie: { secure: true, httpOnly: true, sameSite: 'lax' }
}))

// Who asks is what Postern says, in UTF-8. The session says nothing about it: it
// outlives a logout at Postern, and whoever logs in next on this browser must not
// find the last one's.
app.use((req, res, next) => {
  req.user = Buffer.from(req.get('X-Auth-User') || '', 'latin1').toString('utf8')
  if ((req.session.user || '') === req.user) return next()
  req.session.regenerate(err => {
    if (err) return next(err)
    req.session.user = req.user
    next()
  })
})

app.use(express.urlencoded({ extended: false }))

app.get('/', (req, res) => res.type('text').send(req.user ? 'Hello ' + req.user : 'Welcome'))

app.get('/basket', (req, res) => res.json({ user: req.user, items: req.session.items || [] }))
app.post('/basket', (req, res) => {
  req.session.items = (req.session.items || []).concat(req.body.item)
  res.redirect('/basket')
})

// What the application is told, to look at once.
app.get('/admin/told', (req, res) => {
  res.json({ user: req.user, secure: req.secure, host: req.hostname, ip: req.ip, headers: req.headers })
})

app.listen(3000, '127.0.0.1')
