/** Requests of the control API's tests. */
import { TOKEN } from "./daemon.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // oxlint-disable-next-line typescript/no-explicit-any -- what an answer holds is what the test is about
  readonly body: any;
}

/** With the admin's token where none is named; null: without one. */
export async function ask(
  url: string,
  options: { readonly token?: string | null; readonly method?: string; readonly body?: unknown } = {},
): Promise<Answer> {
  const { token = TOKEN, method = "GET", body } = options;
  const response = await fetch(url, {
    method,
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text.startsWith("{") ? JSON.parse(text) : text };
}

export function post(url: string, body: unknown, token: string = TOKEN): Promise<Answer> {
  return ask(url, { method: "POST", body, token });
}
