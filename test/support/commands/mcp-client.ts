/** The client of a `keelson mcp`, by the official SDK. */
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { onTestFinished } from 'vitest'
import { program } from './keelson-command.ts'

/** A client of the command on a folder, and all its answers. `member`: the one that is asked. */
export const mcpClient = async (dir: string, member?: string) => {
  const client = new Client({ name: 'test', version: '0' })
  const words = ['mcp', '--dir', dir, ...(member === undefined ? [] : ['--member', member])]
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [program, ...words],
    stderr: 'ignore',
  })
  onTestFinished(() => client.close())
  const faults: Error[] = []
  client.onerror = (error) => faults.push(error)
  await client.connect(transport)
  const all: string[] = []
  const asked = async (name: string, given: Record<string, unknown> = {}) => {
    const { content, isError = false } = await client.callTool({ name, arguments: given })
    const [{ text }] = content as [{ text: string }]
    all.push(text)
    return { isError: Boolean(isError), text, data: JSON.parse(text) }
  }
  return { client, transport, asked, all, faults }
}
