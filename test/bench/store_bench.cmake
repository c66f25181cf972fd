trireme_bench(store_bench DEPS trireme_store)
