// An application that keeps rows of its own about accounts: a file with one
// object by id, as its foreign keys want it. It is told of them by webhooks, and
// believes those that the library of the specification has verified.
const express = require('express')
const fs = require('node:fs')
const { Webhook } = require('standardwebhooks')

const [file, secret] = process.argv.slice(2)
const state = fs.existsSync(file) ? JSON.parse(fs.readFileSync(file)) : { rows: {}, heard: [], tries: [] }
const save = () => fs.writeFileSync(file, JSON.stringify(state))
const webhook = new Webhook(secret)
let mood = {} // what to answer about a username instead: a status, or 0 for nothing at all

const app = express()
app.post('/internal/accounts', express.raw({ type: 'application/json' }), (req, res) => {
  let event
  try {
    event = webhook.verify(req.body, req.headers)
  } catch (err) {
    return res.status(401).send(err.message)
  }
  const id = req.headers['webhook-id']
  const { type, data } = event
  state.tries.push({ id, body: req.body.toString() })
  save()
  const status = mood[data.username]
  if (status === 0) return
  if (status) return res.status(status).end()
  if (!state.heard.some(e => e.id === id)) { // else its answer was lost
    state.heard.push({ id, type, account: data.id, username: data.username })
    if (type === 'account.deleted') delete state.rows[data.id]
    else state.rows[data.id] = data
    save()
  }
  res.status(204).end()
})
app.get('/state', (req, res) => res.json(state))
app.post('/mood', express.json(), (req, res) => {
  mood = req.body
  res.status(204).end()
})

app.listen(Number(process.env.PORT), '127.0.0.1')
