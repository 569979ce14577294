/** A mail provider to try the service with: slow, and it fails by chance. */
import { createServer, type Server } from 'node:http'

/** How often the mail of each key was asked for, and its text. */
export type Mail = { asked: number; text: string }

/** A provider, and its mails by key. A share of `failing` requests fail after they took effect. */
export const fakeMails = ({
  failing = 0.2,
  random = Math.random,
}: {
  readonly failing?: number
  readonly random?: () => number
} = {}): { readonly sent: Map<string, Mail>; readonly server: Server } => {
  const sent = new Map<string, Mail>()
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    const key = decodeURIComponent((request.url ?? '').slice('/mails/'.length))
    const { asked } = sent.get(key) ?? { asked: 0 }
    sent.set(key, { asked: asked + 1, text })
    response.writeHead(random() < failing ? 503 : 200).end()
  })
  return { sent, server }
}
