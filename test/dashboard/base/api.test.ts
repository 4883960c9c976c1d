import { afterEach, describe, expect, it, vi } from 'vitest';

describe('requests to the REST API', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('are not made for what is called . or .., which would lead to another path, and say why [broker]', async () => {
    const fetched = vi.fn<(url: URL) => Promise<Response>>((url) =>
      Promise.resolve(Response.json({ asked: url.pathname })),
    );
    vi.stubGlobal('document', { baseURI: 'http://broker.test/dashboard/' });
    vi.stubGlobal('window', { addEventListener: () => undefined });
    vi.stubGlobal('fetch', fetched);
    const { get, remove } = await import('../../../src/dashboard/base/api.js');
    const dots = encodeURIComponent('..');
    await expect(get(`/clients/${dots}/subscriptions`)).rejects.toThrow('cannot be asked for');
    await expect(remove(`/clients/${dots}`)).rejects.toThrow('cannot be asked for');
    await expect(get('/clients/.')).rejects.toThrow('cannot be asked for');
    expect(fetched).not.toHaveBeenCalled();
    expect(await get('/clients/...')).toEqual({ asked: '/api/v5/clients/...' });
  });
});
