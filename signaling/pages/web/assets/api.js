// The server's HTTP API as the pages use it: JSON reads, problem+json errors
// (RFC 9457) as exceptions with words a person can act on, and the bearer token
// of this tab.

const TOKEN_KEY = 'spillway.token';

export class ApiError extends Error {
  // status 0: no answer at all.
  constructor(status, title, detail, retryAfterS) {
    super(detail ? `${title}: ${detail}` : title);
    this.status = status;
    this.title = title;
    this.detail = detail;
    this.retryAfterS = retryAfterS;
  }
}

const TITLES = {
  0: 'The server does not answer',
  400: 'The server did not understand the offer',
  401: 'An access token is needed',
  403: 'The access token does not allow this',
  404: 'Not found',
  405: 'Not allowed here',
  409: 'Not possible right now',
  413: 'The offer is too large',
  415: 'Wrong content type',
  422: 'The server cannot carry this media',
  429: 'Too many requests',
  503: 'The server is busy',
};

// Seconds or an HTTP date (RFC 9110 §10.2.3); undefined if absent or nonsense.
function parseRetryAfter(value) {
  if (!value) return undefined;
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 1), 120) : undefined;
}

export async function toApiError(response) {
  let title = TITLES[response.status] ?? `The server answered ${response.status}`;
  let detail = '';
  try {
    if ((response.headers.get('Content-Type') ?? '').includes('json')) {
      const problem = await response.json();
      if (typeof problem.detail === 'string') detail = problem.detail;
      else if (typeof problem.title === 'string') detail = problem.title;
    }
  } catch {
    // A broken body changes nothing: the status is what counts.
  }
  return new ApiError(response.status, title, detail,
                      parseRetryAfter(response.headers.get('Retry-After')));
}

// fetch() with a deadline; "no answer" becomes an ApiError like any other.
export async function request(url, options = {}, deadlineMs = 10000) {
  try {
    return await fetch(url, { ...options, signal: AbortSignal.timeout(deadlineMs) });
  } catch (error) {
    const detail = error?.name === 'TimeoutError' ? 'no answer in time' : 'the connection failed';
    throw new ApiError(0, TITLES[0], detail);
  }
}

export async function getJson(path, deadlineMs = 5000) {
  const response = await request(path, { headers: authHeaders(), cache: 'no-store' }, deadlineMs);
  if (!response.ok) throw await toApiError(response);
  return response.json();
}

// --- token -----------------------------------------------------------------

// A link may carry the token behind '#': that part is never sent to a server.
function takeTokenFromAddress() {
  const match = /(?:^#|&)token=([^&]*)/.exec(location.hash);
  if (!match) return;
  setToken(decodeURIComponent(match[1]));
  history.replaceState(null, '', location.pathname + location.search);
}

export function getToken() {
  return sessionStorage.getItem(TOKEN_KEY) ?? '';
}

export function setToken(token) {
  if (token) sessionStorage.setItem(TOKEN_KEY, token);
  else sessionStorage.removeItem(TOKEN_KEY);
}

export function authHeaders() {
  const token = getToken();
  return token ? { Authorization: `Bearer ${token}` } : {};
}

// "H264 + opus", from the tracks of a stream; a publisher says first what it sends.
export function mediaText(stream) {
  const names = (stream.tracks ?? []).map((track) => {
    const codec = track.codecs?.[0];
    return (typeof codec === 'string' ? codec : codec?.name) || track.kind;
  });
  return names.join(' + ') || '–';
}

// --- addresses -----------------------------------------------------------------

export const STREAM_NAME = /^[A-Za-z0-9_-]{1,128}$/;

// The server serves /publish/{stream} and /watch/{stream} for good names only.
export function streamFromPath() {
  const name = location.pathname.split('/')[2] ?? '';
  if (!STREAM_NAME.test(name)) throw new Error('The address holds no stream name');
  return name;
}

takeTokenFromAddress();
