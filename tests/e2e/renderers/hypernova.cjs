// Airbnb's hypernova with components for the tests: run as a process of its own; prints its port.
const hypernova = require('hypernova/server')

let now = 0
let most = 0

/** Renders that wait for something in between, so that several can be under way in one process: what `most` counts. */
async function page({ name }) {
  most = Math.max(most, ++now)
  for (let i = 0; i < 5; i++) await new Promise(setImmediate)
  now--
  return `<p>Hello, ${name}</p>`
}

const components = { Page: page, Most: () => String(most), Broken: () => { throw new Error('no such thing') } }

function createApplication() {
  const app = hypernova.createApplication()
  const listen = app.listen.bind(app)
  app.listen = (...args) => {
    const server = listen(...args)
    return server.on('listening', () => console.log(server.address().port))
  }
  return app
}

hypernova({
  devMode: true,
  logger: { level: 'emerg', transports: [] },
  loggerInstance: { log() {} },
  getComponent: (name) => components[name],
  listenArgs: [0, '127.0.0.1'],
  createApplication,
})
