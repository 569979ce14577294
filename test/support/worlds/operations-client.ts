/** Asks the handler of `operations` as a program that watches an instance does, without a socket. */
import type { OperationsHandler } from '../../../src/inspect/operations/operations.ts'

/** The answer to a request. */
export type Answered = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

/** The answer of the handler; `undefined`: the path is not its own. */
export const asked = (
  handler: OperationsHandler,
  url: string,
  { method = 'GET', accept }: { readonly method?: string; readonly accept?: string } = {},
): Promise<Answered | undefined> =>
  new Promise((resolve) => {
    let [status, headers]: [number, Record<string, string>] = [0, {}]
    const response = {
      writeHead: (given: number, fields: Record<string, string>) => {
        ;[status, headers] = [given, fields]
      },
      end: (body?: string) => resolve({ status, headers, body }),
    }
    if (!handler({ method, url, headers: { accept } }, response)) resolve(undefined)
  })

export const openMetrics = 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5'
