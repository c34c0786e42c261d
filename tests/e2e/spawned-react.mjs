// React 19 on Express 5, as a renderer for varve to run: it listens at PORT.
import express from 'express'
import { createElement as h, Suspense, use } from 'react'
import { renderToPipeableStream } from 'react-dom/server'

const Late = ({ data }) => h('p', null, use(data))
const Page = ({ url, data }) =>
  h('html', null, h('body', null, h('h1', null, `Page ${url}`), h(Suspense, { fallback: h('p', null, 'Loading') }, h(Late, { data }))))

const app = express()
app.get('/{*any}', (req, res) => {
  const data = new Promise((resolve) => setTimeout(resolve, 10, 'Suspended until now'))
  const { pipe } = renderToPipeableStream(h(Page, { url: req.url, data }), {
    onShellReady() {
      res.type('html')
      pipe(res)
    },
    onError() {
      res.socket?.destroy()
    },
  })
})
const server = app.listen(process.env.PORT)
process.on('SIGTERM', () => server.close())
