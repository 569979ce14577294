/** A fake model: it says the same to the same conversation, a token each 50 ms, and continues any beginning. */
import { setTimeout as pause } from 'node:timers/promises'

export type Turn = { readonly role: 'user' | 'model' | 'tool'; readonly text: string }
export type Reply = {
  readonly text: string
  readonly tool?: { readonly name: string; readonly arg: string }
}

/** What it says to a conversation. A word in brackets at the end asks for a tool. */
const whole = (turns: readonly Turn[]): string => {
  const { role, text } = turns.at(-1) ?? { role: 'user', text: '' }
  if (role === 'tool')
    return `The tool answered: ${text}. Is there anything else that I can do for you today?`
  const [, place] = /weather in (\w+)/i.exec(text) ?? []
  if (place) return `I will look at the weather for you. [weather ${place}]`
  const [, file] = /delete (\S+)/i.exec(text) ?? []
  if (file) return `That cannot be undone, so I will ask you first. [delete ${file}]`
  return `You said: ${text}. I am a small model, and I have a great many words for so short a question.`
}

/** The tokens after those that were said. Ends with an error when `signal` aborts. */
export async function* tokensOf(
  turns: readonly Turn[],
  said: string,
  signal: AbortSignal,
  ms = 50,
) {
  const text = whole(turns)
  if (!text.startsWith(said)) throw new Error('it never said that')
  for (const [token] of text.slice(said.length).matchAll(/\S+\s*|\s+/g)) {
    await pause(ms, undefined, { signal })
    yield token
  }
}

/** The reply in a whole text. */
export const replyIn = (text: string): Reply => {
  const [asked, name, arg] = /\[(\w+) (\S+)\]$/.exec(text) ?? []
  return asked && name && arg ? { text, tool: { name, arg } } : { text }
}
