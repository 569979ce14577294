/** The start of the page of `keelson observe`. */
import { render } from 'preact'
import { type Refused, signIn } from '../widgets/connection.ts'
import { App } from './app.tsx'

const place = document.getElementById('page')

signIn().then(
  () => place && render(<App />, place),
  (error: Refused) => place && render(<p class="banner bad">{error.message}</p>, place),
)
