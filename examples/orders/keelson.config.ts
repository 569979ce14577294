/** The service: `keelson run examples/orders/keelson.config.ts`. */
import { type KeelsonConfig, supervisor, worker } from 'keelson'
import { httpBank } from './bank.ts'
import { http } from './http.ts'
import { orderKind } from './order.ts'

const { BANK_URL = 'http://127.0.0.1:7071', PORT = '7070', PAY_WITHIN_MS = '900000' } = process.env

const orders = orderKind(httpBank(BANK_URL), Number(PAY_WITHIN_MS))

export default {
  dir: './data',
  app: supervisor('app', {}, [
    orders,
    worker('http', http, { arg: { orders, port: Number(PORT) } }),
  ]),
} satisfies KeelsonConfig
