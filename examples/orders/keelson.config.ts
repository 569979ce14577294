/** The service: `keelson run examples/orders/keelson.config.ts`. */
import { defineConfig, supervisor, worker } from 'keelson'
import { flows } from 'keelson/flow'
import { httpBank } from './bank.ts'
import { http } from './http.ts'
import { orderWorkflow } from './order.ts'

const { BANK_URL = 'http://127.0.0.1:7071', PORT = '7070', PAY_WITHIN_MS = '900000' } = process.env

const orders = orderWorkflow(httpBank(BANK_URL), Number(PAY_WITHIN_MS))

export default defineConfig({
  dir: './data',
  app: supervisor('app', {}, [
    flows({ workflows: [orders] }),
    worker('http', http, { arg: { orders, port: Number(PORT) } }),
  ]),
})
