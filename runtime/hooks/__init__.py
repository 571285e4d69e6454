"""Work that services elsewhere bring by signed requests: what each hook is, and what becomes of what it brings."""
